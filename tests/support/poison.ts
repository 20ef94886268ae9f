/** Values of rows at which a thread of the unsound worker fails, and how. */
export const POISON = { throws: 7001, exits: 7002, hangs: 7003 }
