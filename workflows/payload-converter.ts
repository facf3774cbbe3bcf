import { defaultPayloadConverter, type PayloadConverter } from "@temporalio/common";

/**
 * In workflows, a payload that cannot be decoded is undefined, which every reader of such values must take. The SDK would
 * throw, and so fail each task of the workflow forever: its history keeps the payload.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value, context, hint) => defaultPayloadConverter.toPayload(value, context, hint),

  fromPayload: (payload, context, hint) => {
    try {
      return defaultPayloadConverter.fromPayload(payload, context, hint);
    } catch {
      // The type says what the sender should have sent, and not what it sent.
      return undefined as never;
    }
  },
};
