/** What was asked can't be done, in words for who asked. */
export class Refused extends Error {
  override name = 'Refused'
}
