import { UnreadableModel } from '../unreadable-model.ts'
import { looksLikeLightgbm, readLightgbm } from './lightgbm-text.ts'
import type { TreeModel } from './tree-model.ts'
import { looksLikeUbjson, readUbjson } from './ubjson.ts'
import { readXgboost } from './xgboost-json.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads a model of LightGBM (text) or XGBoost (JSON, UBJSON), whichever it is.
 *
 * @returns `undefined` for what is none of them.
 * @throws {UnreadableModel} with what is wrong, or what has no place here.
 */
export function readTreeModel(bytes: Uint8Array): TreeModel | undefined {
  if (looksLikeUbjson(bytes)) return readXgboost(readUbjson(bytes))
  const isText = bytes[0] === 0x7b || bytes[0] === 0x74
  if (!isText) return undefined
  const text = decode(bytes)
  if (looksLikeLightgbm(text)) return readLightgbm(text)
  return bytes[0] === 0x7b ? readXgboost(parse(text)) : undefined
}

function decode(bytes: Uint8Array): string {
  const text = decoded(bytes)
  // Bun decodes to nothing where there is no memory for a text.
  if (text === '') throw new RangeError('out of memory for the text of a model')
  return text
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new UnreadableModel('The file is no text in UTF-8.', { cause })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new UnreadableModel('The file begins as JSON and is none.', { cause })
  }
}
