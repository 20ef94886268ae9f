/** The form under which a user name or an e-mail address is unique: `Ada` and `ADA` are one. */
export const foldName = (name: string) => name.normalize('NFKC').trim().toLowerCase()
