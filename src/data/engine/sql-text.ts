/** As a literal of SQL. */
export const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`

/** As a name of SQL. */
export const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`
