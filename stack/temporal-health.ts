import { connect } from "node:http2";

/** The service whose health a Temporal frontend reports, as a gRPC message: field 1, its length, the text. */
const SERVICE = "temporal.api.workflowservice.v1.WorkflowService";
const SERVING = Buffer.from([0x08, 0x01]);

/**
 * Whether a Temporal frontend answers at `address` that it is serving.
 * @see https://grpc.io/docs/guides/health-checking the protocol, spoken by hand: the client packages take 300 ms to load
 */
export function isTemporalServing(address: string, timeoutMs = 1000): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connect(`http://${address}`);
    const finish = (serving: boolean) => {
      clearTimeout(timer);
      session.destroy();
      resolve(serving);
    };
    const timer = setTimeout(() => finish(false), timeoutMs);
    session.once("error", () => finish(false));
    const request = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("error", () => finish(false));
    // Five bytes of framing come before the message.
    request.once("end", () => finish(Buffer.concat(chunks).subarray(5).equals(SERVING)));
    const message = Buffer.concat([Buffer.from([0x0a, SERVICE.length]), Buffer.from(SERVICE)]);
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    request.end(Buffer.concat([frame, message]));
  });
}
