/**
 * Splits a line of comma-separated values. A field in double quotes can contain commas, and `""` for a quote.
 * @throws Error when a quote is not closed
 */
export function splitCsv(line: string): string[] {
  const fields: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] === '"') {
      const [field, end] = quotedField(line, at);
      fields.push(field);
      at = end + 1;
    } else {
      const comma = line.indexOf(",", at);
      const end = comma < 0 ? line.length : comma;
      fields.push(line.slice(at, end));
      at = end + 1;
    }
  }
  return fields;
}

function quotedField(line: string, start: number): [field: string, end: number] {
  let field = "";
  for (let at = start + 1; at < line.length; at++) {
    if (line[at] !== '"') field += line[at];
    else if (line[at + 1] === '"') field += line[at++];
    else if (at + 1 === line.length || line[at + 1] === ",") return [field, at + 1];
    else break;
  }
  throw new Error(`unbalanced quotes in '${line}'`);
}
