import { Writable } from "node:stream";

const CLEAR_LINE = "\r\u001B[2K";
/** Separates the parts of a status line; a part that does not fit is left out. */
export const STATUS_GAP = "  ";

/** A terminal whose bottom line is a status that is redrawn; everything else is written above it. */
export class TerminalOutput extends Writable {
  readonly #terminal: Writable;
  readonly #columns: () => number;
  #status = "";
  /** Columns that the drawn status occupies; 0 if it is not shown. */
  #drawn = 0;
  /** The last write ended its line, so the status can be drawn below it. */
  #isAtLineStart = true;

  /** `columns`: the current width of the terminal. */
  constructor(terminal: Writable, columns: () => number) {
    super({ decodeStrings: true });
    this.#terminal = terminal;
    this.#columns = columns;
    terminal.on("error", (err: Error) => this.destroy(err));
  }

  /** Shows one line with as many of its parts as fit; an empty line removes it. */
  showStatus(text: string): void {
    if (text === this.#status || this.destroyed) return;
    this.#status = text;
    if (this.#isAtLineStart) this.#terminal.write(this.#cleared() + this.#redrawn());
  }

  /** Another stream to the same terminal, so that what is written there also goes above the status. */
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

  /** The sequence that removes the status. A terminal that has become narrower shows it on several rows. */
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
    // The last column stays free: some terminals start a new line when it is filled.
    const text = fitted(this.#status, Math.max(0, this.#columns() - 1));
    this.#drawn = text.length;
    return text;
  }
}

/** As many whole parts as fit: half a number would be another number. */
function fitted(text: string, room: number): string {
  if (text.length <= room) return text;
  const end = text.lastIndexOf(STATUS_GAP, room);
  return text.slice(0, end > 0 ? end : room);
}
