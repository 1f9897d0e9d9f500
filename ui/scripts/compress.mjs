// Writes a .br and a .gz beside every built text file, so that the server never compresses at run time.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = join(import.meta.dirname, "..", "dist");
const compressible = new Set([".css", ".html", ".js", ".json", ".svg"]);
const sums = { js: 0, css: 0 };

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !compressible.has(extname(entry.name))) continue;
  const path = join(entry.parentPath, entry.name);
  const content = readFileSync(path);
  const gzip = gzipSync(content, { level: constants.Z_BEST_COMPRESSION });
  const brotli = brotliCompressSync(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
    },
  });
  writeFileSync(`${path}.gz`, gzip);
  writeFileSync(`${path}.br`, brotli);
  const kind = extname(entry.name).slice(1);
  if (kind in sums) sums[kind] += gzip.length;
  console.log(`${entry.name}  ${content.length} bytes, gzip ${gzip.length}, brotli ${brotli.length}`);
}

// Budgets of all chunks together, in bytes after gzip.
const budgets = { js: 260_000, css: 35_000 };
for (const [kind, budget] of Object.entries(budgets)) {
  console.log(`all ${kind}: gzip ${sums[kind]} of ${budget}`);
  if (sums[kind] > budget) {
    console.error(`the ${kind} files are over their budget: ${sums[kind]} of ${budget} bytes after gzip`);
    process.exitCode = 1;
  }
}
