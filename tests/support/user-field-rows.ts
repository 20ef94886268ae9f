import type { Row } from './request-table.ts'

type Fields = 'username' | 'email' | 'password'

const bad: Record<Fields, [name: string, value: unknown][]> = {
  username: [
    ['a number', 7],
    ['an object', { $ne: null }],
    ['two names', ['ada', 'eve']],
    ['nothing', ''],
    ['blanks', '  '],
    ['65 characters', 'x'.repeat(65)],
    ['10,000 characters', 'x'.repeat(10_000)],
    ['an e-mail address', 'eve@example.com'],
    ['one by a wide at sign', 'eve＠example.com'],
    ['with the character U+0000', 'a\u0000b'],
    ['with half a character', 'a\ud800b'],
    ['with a letter that nobody sees', 'ad\u200bmin'],
    ['with a line end', 'ada\r\nrole: admin'],
    ['a program’s', 'Service-Account:nightly'],
  ],
  email: [
    ['a number', 7],
    ['two addresses', ['a@example.com', 'b@example.com']],
    ['nothing', ''],
    ['no address', 'ada'],
    ['two in one', 'a@example.com,b@example.com'],
    ['with a header', 'a@example.com\r\nBcc: b@example.com'],
    ['with the character U+0000', 'a\u0000@example.com'],
    ['with half a character', 'a\udfff@example.com'],
    ['300 characters', `${'x'.repeat(300)}@example.com`],
  ],
  password: [
    ['a number', 12_345_678_901],
    ['two', ['long enough', 'long enough']],
    ['nothing', ''],
    ['a short one', 'zw3-kq!'],
    ['129 characters', 'x'.repeat(129)],
    ['with the character U+0000', 'long\u0000enough'],
    ['with half a character', 'long enough\ud800'],
    ['one of the most common', 'Password123'],
  ],
}

/** Rows in which one field of a user is what it can't be: each is refused, and the refusal names it. */
export const userFieldRows = (
  request: Pick<Row, 'as' | 'method' | 'path'>,
  fields: Fields[],
  rest: object = {},
): Row[] =>
  fields.flatMap((field) =>
    bad[field].map(([name, value]) => ({
      name: `as ${field} ${name}`,
      ...request,
      body: { ...rest, [field]: value },
      status: 422,
      has: { errors: [{ pointer: `#/${field}` }] },
    })),
  )

/** Rows with a member that would give rights, or hide whose account it is. */
export const strangeMemberRows = (
  request: Pick<Row, 'as' | 'method' | 'path'>,
  members: Record<string, unknown>,
  rest: object = {},
): Row[] =>
  Object.entries(members).map(([member, value]) => ({
    name: `with ${member}`,
    ...request,
    body: { ...rest, [member]: value },
    status: 422,
    has: { errors: [{ pointer: `#/${member}`, detail: 'is no key of this request' }] },
  }))
