import { z } from "zod";
import { inputMap, inputObject, parsedText } from "./input-schema.ts";
import { storedInstant } from "../model/time/instant.ts";

/** The body of `POST /buffers`; what the server sets is accepted and ignored. */
export const newBufferSchema = inputObject({
  id: z.unknown().optional(),
  location: z.string().optional(),
  createdAt: z.unknown().optional(),
  isSoftDeleted: z.unknown().optional(),
  expiresAt: parsedText(storedInstant).optional(),
  tags: inputMap(z.string()).optional(),
  eTag: z.unknown().optional(),
});

export type BufferInput = z.infer<typeof newBufferSchema>;
