/** Plain text for one person. */
export interface Message {
  /** The same at each attempt to send it, so that who gets it twice can tell. */
  id: string
  /** The address is as it is kept, never as somebody typed it; none where they have none. */
  to: { id: string; address: string | null }
  subject: string
  text: string
  /** From when on it is of no use. */
  expiresAt: Date
}

/** Brings messages to people. */
export interface Mail {
  /**
   * Resolves when somebody else has taken the message over.
   *
   * @throws {MailRefused} when it would never be taken; whatever else it throws may pass. No error
   * holds the address or the text, since errors are logged.
   */
  send(message: Message, signal: AbortSignal): Promise<void>
}

/** The message itself, or the address, will not do: to try again would not help. */
export class MailRefused extends Error {
  override name = 'MailRefused'
}
