// What the API answered once, to be answered again: pictures can only be compared when they show the same things.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { MANAGEMENT_URL, UPDATE_PICTURES } from "./settings.js";

const FILE = new URL("../pictures/answers.jsonl", import.meta.url).pathname;
const API = (url) => url.origin === MANAGEMENT_URL && url.pathname.startsWith("/1.0");

/** Settings that say more about the machine of the recording than about the server. */
const OF_THE_MACHINE = {
  db_connection_string: "postgresql://cluster_manager:***@database.example.net:5432/cluster_manager",
};

/** What a browser says of a page's request, and the server wants to hear; the recorder speaks for it. */
const OF_A_BROWSER = { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" };

/** The recording: when it was made, in milliseconds, and the answers by `METHOD path?query`. */
export function recording() {
  const { at, answers } = UPDATE_PICTURES ? { at: Date.now(), answers: new Map() } : read();
  return {
    at,
    /** Lets a page see the recorded answers; while recording, those of the server. Events never come: nothing happens meanwhile. */
    async attach(page) {
      await page.route(API, async (route) => {
        const request = route.request();
        const { pathname, search } = new URL(request.url());
        if (pathname === "/1.0/fleet/events") return;
        const key = `${request.method()} ${pathname}${search}`;
        if (UPDATE_PICTURES && !answers.has(key)) {
          const headers = { ...request.headers(), ...OF_A_BROWSER };
          answers.set(key, await recorded(await route.fetch({ headers })));
        }
        const { status, date, body } = answers.get(key) ?? {
          status: 404,
          date: "",
          body: { error: `not recorded: ${key}` },
        };
        await route.fulfill({ status, headers: { Date: date }, json: body });
      });
    },
    keep() {
      const lines = [at, ...answers].map((line) => `${JSON.stringify(line)}\n`);
      if (UPDATE_PICTURES) writeFileSync(FILE, lines.join(""));
    },
  };
}

/** The first line is the time, each of the others an answer. */
function read() {
  if (!existsSync(FILE)) throw new Error("there are no recorded answers: UPDATE_PICTURES=1 makes them");
  const [at, ...answers] = readFileSync(FILE, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { at, answers: new Map(answers) };
}

async function recorded(response) {
  const body = await response.json();
  for (const [key, value] of Object.entries(OF_THE_MACHINE)) {
    if (body.metadata?.[key]?.value !== undefined) body.metadata[key].value = value;
  }
  return { status: response.status(), date: response.headers().date, body };
}
