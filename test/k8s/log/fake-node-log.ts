import type { IncomingMessage, ServerResponse } from "node:http";

/** The log of one container on a node that has only its last file. */
export class FakeNodeLog {
  #file: string[] = [];
  #count = 0;
  #isOver = false;
  readonly #followers = new Set<ServerResponse>();
  /** The queries of the requests. */
  readonly queries: URLSearchParams[] = [];

  /** Writes lines of about 50 bytes, a millisecond apart, which are `line 1`, `line 2`, …. */
  write(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#count += 1;
      const at = new Date(Date.UTC(2026, 0, 1) + this.#count).toISOString().replace("Z", "000000Z");
      const line = `${at} line ${this.#count}\n`;
      this.#file.push(line);
      for (const follower of this.#followers) follower.write(line);
    }
  }

  /** Begins a new file. Streams that follow get no more lines, or end. */
  rotate(): void {
    this.#file = [];
    for (const follower of this.#followers) follower.end();
    this.#followers.clear();
  }

  /** The container has ended. */
  end(): void {
    this.#isOver = true;
    for (const follower of this.#followers) follower.end();
    this.#followers.clear();
  }

  /** How many streams follow. */
  get followers(): number {
    return this.#followers.size;
  }

  answer(req: IncomingMessage, res: ServerResponse): boolean {
    if (!req.url?.includes("/log?")) return false;
    const query = new URL(req.url, "http://kube").searchParams;
    this.queries.push(query);
    const since = query.get("sinceTime");
    const tail = query.get("tailLines");
    const from = since === null ? this.#file : this.#file.filter((line) => line.slice(0, 19) >= since.slice(0, 19));
    res.writeHead(200).flushHeaders();
    res.write((tail === null ? from : from.slice(-Number(tail))).join(""));
    if (query.get("follow") === "true" && !this.#isOver) {
      this.#followers.add(res);
      res.on("close", () => this.#followers.delete(res));
    } else res.end();
    return true;
  }
}
