/** A model file that can't be served, in words for who sent it. */
export class UnreadableModel extends Error {
  override name = 'UnreadableModel'
}
