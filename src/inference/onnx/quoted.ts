const CHARACTERS_MAX = 80

/** A name out of a file, as a message shows it. */
export const quoted = (name: string) =>
  JSON.stringify(name.length > CHARACTERS_MAX ? `${name.slice(0, CHARACTERS_MAX)}…` : name)
