// Screens that are compared with pictures of how they are meant to look. What a picture depends on is held still: the answers
// of the API are those of a recording, the clock stands, nothing moves, fonts come from us and are drawn without the hints of the
// machine. What is left is evened out: pictures are kept and compared at half their size, and a few pixels may differ.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pixelmatch from "pixelmatch";
import { PNG } from "pngjs";
import { ARTEFACTS, UPDATE_PICTURES } from "./settings.js";

const FOLDER = new URL("../pictures", import.meta.url).pathname;

/** How far colours may be apart, of 0 to 1: what the edges of letters need. */
const COLOURS_APART = 0.15;
/** Between two values of a channel, of 0 to 255. */
const COLOUR_STEP = 17;
/** How many pixels may differ by more: fewer than a short word has. */
const PIXELS_APART = 40;
/** How long a page may take until it looks as it should. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 250;

/** Compares what the page shows with its picture; or takes the picture, where pictures are to be renewed. */
export async function assertLooksLike(page, name) {
  const file = join(FOLDER, `${name}.png`);
  if (UPDATE_PICTURES) {
    writeFileSync(file, written(await settled(page)));
    return;
  }
  assert.ok(existsSync(file), `there is no picture of ${name}: UPDATE_PICTURES=1 takes it`);
  const wanted = PNG.sync.read(readFileSync(file));
  const deadline = Date.now() + PATIENCE_MS;
  let difference = differs(await shot(page), wanted);
  while (difference !== null && Date.now() < deadline) {
    await page.waitForTimeout(PAUSE_MS);
    difference = differs(await shot(page), wanted);
  }
  if (difference === null) return;
  mkdirSync(ARTEFACTS, { recursive: true });
  writeFileSync(join(ARTEFACTS, `${name}-now.png`), written(difference.now));
  if (difference.marked !== null) writeFileSync(join(ARTEFACTS, `${name}-differs.png`), written(difference.marked));
  assert.fail(
    `${name} does not look as before: ${difference.why}. See ${name}-now.png and ${name}-differs.png among the artefacts; ` +
      "if it is meant to look so, UPDATE_PICTURES=1 renews the pictures",
  );
}

/** Null if the picture is as wanted; else in which way it is not. */
export function differs(now, wanted) {
  const { width, height } = wanted;
  if (now.width !== width || now.height !== height) {
    return { now, marked: null, why: `${now.width} × ${now.height} pixels, not ${width} × ${height}` };
  }
  const marked = new PNG({ width, height });
  const apart = pixelmatch(now.data, wanted.data, marked.data, width, height, { threshold: COLOURS_APART });
  return apart <= PIXELS_APART ? null : { now, marked, why: `${apart} pixels differ, ${PIXELS_APART} may` };
}

/** What the page shows at half its size. What is in a font of the machine's own is covered: code, and the signs of the health map. */
export async function shot(page) {
  await page.evaluate(() => document.fonts.ready);
  const mask = [page.locator("code, pre, kbd, .map__cell")];
  const whole = await page.screenshot({ animations: "disabled", caret: "hide", mask });
  return halved(PNG.sync.read(whole));
}

/** The first picture that the page shows twice in a row. */
async function settled(page) {
  for (let before = await shot(page); ;) {
    await page.waitForTimeout(4 * PAUSE_MS);
    const now = await shot(page);
    if (now.data.equals(before.data)) return now;
    before = now;
  }
}

/** Each pixel is the mean of four, in few colours: the files are half as large, and nobody sees the difference. */
function halved({ width, height, data }) {
  const small = new PNG({ width: width / 2, height: height / 2 });
  for (let y = 0; y < small.height; y++) {
    for (let x = 0; x < small.width; x++) {
      for (let channel = 0; channel < 4; channel++) {
        const at = (2 * y * width + 2 * x) * 4 + channel;
        const sum = data[at] + data[at + 4] + data[at + 4 * width] + data[at + 4 * width + 4];
        small.data[(y * small.width + x) * 4 + channel] = Math.round(sum / 4 / COLOUR_STEP) * COLOUR_STEP;
      }
    }
  }
  return small;
}

function written(png) {
  return PNG.sync.write(png, { colorType: 2, deflateLevel: 9, filterType: 0 });
}
