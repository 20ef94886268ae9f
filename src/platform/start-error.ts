/** A reason not to start that whoever operates the server can mend. Its message is a sentence that says how. */
export class StartError extends Error {
  override name = 'StartError'
}
