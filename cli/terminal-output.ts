import { Writable } from "node:stream";

const CLEAR_LINE = "\r\u001B[2K";

/** A terminal with one line at its bottom that is drawn anew as things move; all that is written goes above it. */
export class TerminalOutput extends Writable {
  readonly #terminal: Writable;
  readonly #columns: () => number;
  #status = "";
  #isDrawn = false;
  /** The last write ended its line, so that the status may be drawn below it. */
  #isAtLineStart = true;

  /** `columns`: the width of the terminal at this moment. */
  constructor(terminal: Writable, columns: () => number) {
    super({ decodeStrings: true });
    this.#terminal = terminal;
    this.#columns = columns;
    terminal.on("error", (err: Error) => this.destroy(err));
  }

  /** Shows one line, cut to the width of the terminal; an empty one takes it away. */
  showStatus(text: string): void {
    if (text === this.#status || this.destroyed) return;
    this.#status = text;
    if (this.#isAtLineStart) this.#terminal.write(this.#redrawn());
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (err?: Error | null) => void): void {
    const clear = this.#isDrawn ? CLEAR_LINE : "";
    this.#isDrawn = false;
    if (chunk.length > 0) this.#isAtLineStart = chunk.at(-1) === 10;
    const status = this.#isAtLineStart ? this.#redrawn() : "";
    this.#terminal.write(Buffer.concat([Buffer.from(clear), chunk, Buffer.from(status)]), done);
  }

  #redrawn(): string {
    const clear = this.#isDrawn ? CLEAR_LINE : "";
    // The last column stays free: some terminals begin a new line when it is taken.
    const text = this.#status.slice(0, Math.max(0, this.#columns() - 1));
    this.#isDrawn = text !== "";
    return clear + text;
  }
}
