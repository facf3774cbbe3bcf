/** Reports progress to the waiting user; the lines go to stderr. */
export type Report = (line: string) => void;
