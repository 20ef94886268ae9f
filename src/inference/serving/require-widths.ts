interface Widths {
  inputWidth: number
  outputWidth: number
}

/** @throws {Error} where a model is not as wide as its manifest says. */
export function requireWidths(model: Widths, manifest: Widths): void {
  if (model.inputWidth !== manifest.inputWidth) {
    throw new Error(
      `takes ${model.inputWidth} columns where the manifest has ${manifest.inputWidth}`,
    )
  }
  if (model.outputWidth !== manifest.outputWidth) {
    throw new Error(
      `returns ${model.outputWidth} values a row where the manifest has ${manifest.outputWidth}`,
    )
  }
}
