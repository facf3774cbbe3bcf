import { Writable } from "node:stream";

const CLEAR_LINE = "\r\u001B[2K";
/** Between the parts of a status, which are shown whole or not at all. */
export const STATUS_GAP = "  ";

/** A terminal with one line at its bottom that is drawn anew as things move; all that is written goes above it. */
export class TerminalOutput extends Writable {
  readonly #terminal: Writable;
  readonly #columns: () => number;
  #status = "";
  /** How many columns of the line are taken; 0 when it is not there. */
  #drawn = 0;
  /** The last write ended its line, so that the status may be drawn below it. */
  #isAtLineStart = true;

  /** `columns`: the width of the terminal at this moment. */
  constructor(terminal: Writable, columns: () => number) {
    super({ decodeStrings: true });
    this.#terminal = terminal;
    this.#columns = columns;
    terminal.on("error", (err: Error) => this.destroy(err));
  }

  /** Shows one line, as many of its parts as fit into the terminal; an empty one takes it away. */
  showStatus(text: string): void {
    if (text === this.#status || this.destroyed) return;
    this.#status = text;
    if (this.#isAtLineStart) this.#terminal.write(this.#cleared() + this.#redrawn());
  }

  /** Another stream that leads to the same terminal: what is written there goes above the line, too. */
  besides(stream: Writable): Writable {
    const other = new Writable({
      decodeStrings: true,
      write: (chunk: Buffer, _encoding, done) => {
        this.#terminal.write(this.#cleared());
        stream.write(chunk, done);
        this.#terminal.write(this.#after(chunk));
      },
    });
    stream.on("error", (err: Error) => other.destroy(err));
    return other;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (err?: Error | null) => void): void {
    const pieces = [Buffer.from(this.#cleared()), chunk, Buffer.from(this.#after(chunk))];
    this.#terminal.write(Buffer.concat(pieces), done);
  }

  /** What takes the line away. A terminal that has become narrower shows it on several rows. */
  #cleared(): string {
    if (this.#drawn === 0) return "";
    const rowsAbove = Math.ceil(this.#drawn / Math.max(1, this.#columns())) - 1;
    this.#drawn = 0;
    return rowsAbove > 0 ? `\u001B[${rowsAbove}A\r\u001B[J` : CLEAR_LINE;
  }

  #after(chunk: Buffer): string {
    if (chunk.length > 0) this.#isAtLineStart = chunk.at(-1) === 10;
    return this.#isAtLineStart ? this.#redrawn() : "";
  }

  #redrawn(): string {
    // The last column stays free: some terminals begin a new line when it is taken.
    const text = fitted(this.#status, Math.max(0, this.#columns() - 1));
    this.#drawn = text.length;
    return text;
  }
}

/** As many parts as there is room for; half a number would be another number. */
function fitted(text: string, room: number): string {
  if (text.length <= room) return text;
  const end = text.lastIndexOf(STATUS_GAP, room);
  return text.slice(0, end > 0 ? end : room);
}
