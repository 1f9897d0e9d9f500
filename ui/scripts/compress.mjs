// Writes a .br and a .gz beside every built text file, so that the server never compresses at run time.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = join(import.meta.dirname, "..", "dist");
const compressible = new Set([".css", ".html", ".js", ".json", ".svg"]);
const sums = { js: 0, css: 0 };
const scripts = new Map();

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
  if (kind === "js") scripts.set(entry.name, gzip.length);
  console.log(`${entry.name}  ${content.length} bytes, gzip ${gzip.length}, brotli ${brotli.length}`);
}

// Budgets in bytes after gzip: all chunks together, and what a page needs before it can be seen.
const FRAME = /^(index|shared|rolldown-runtime|theme-boot)-/;
const LIST = /^(index|shared|rolldown-runtime|theme-boot|pages)-/;
const sumOf = (names) => [...scripts].reduce((sum, [name, size]) => sum + (names.test(name) ? size : 0), 0);
for (const [what, size, budget] of [
  ["all js", sums.js, 260_000],
  ["all css", sums.css, 35_000],
  ["js of the login", sumOf(FRAME), 130_000],
  ["js of the list", sumOf(LIST), 185_000],
]) {
  console.log(`${what}: gzip ${size} of ${budget}`);
  if (size > budget) {
    console.error(`${what} is over its budget: ${size} of ${budget} bytes after gzip`);
    process.exitCode = 1;
  }
}
