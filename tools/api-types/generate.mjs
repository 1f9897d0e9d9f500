// Writes ui/src/api/schema.ts, the types of what the API takes and gives, from docs/openapi.json.
//
//   node tools/api-types/generate.mjs            writes the file
//   node tools/api-types/generate.mjs --check    fails when the file is not what would be written

import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const DOCUMENT = new URL("../../docs/openapi.json", import.meta.url);
const TYPES = new URL("../../ui/src/api/schema.ts", import.meta.url);
const HEAD = "// Written by ./dev generate from docs/openapi.json: change the API, not this file.\n\n";

/** A tuple says its length by its items; the generator would count it twice. */
function plainTuples(schema) {
  if (schema === null || typeof schema !== "object") return;
  if (Array.isArray(schema.prefixItems)) {
    delete schema.minItems;
    delete schema.maxItems;
  }
  Object.values(schema).forEach(plainTuples);
}

const { openapi, info, components } = JSON.parse(readFileSync(DOCUMENT, "utf8"));
plainTuples(components.schemas);
// The pages use what goes over the wire; paths are theirs.
const document = { openapi, info, paths: {}, components: { schemas: components.schemas } };
const written = HEAD + astToString(await openapiTS(document, { arrayLength: true }));

if (process.argv.includes("--check")) {
  if (readFileSync(TYPES, "utf8") !== written) {
    console.error("error: ui/src/api/schema.ts is old: run ./dev generate");
    process.exit(1);
  }
} else {
  writeFileSync(TYPES, written);
  console.log("=> ui/src/api/schema.ts");
}
