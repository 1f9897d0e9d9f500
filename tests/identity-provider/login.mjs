// The login page's own routes: the form, its answer and its style sheet.

import { loginPage, noticePage, sendPage, sendStyle, STYLE_PATH } from "./pages.mjs";

export const LOGIN_PATH = "/login/";
const FORM_LIMIT_BYTES = 4096;

export function createLoginRoutes(provider, people) {
  async function showOrTake(req, res) {
    let interaction;
    try {
      interaction = await provider.interactionDetails(req, res);
    } catch {
      sendPage(res, 400, noticePage("This login has expired", "Go back to the application and log in again."));
      return;
    }
    const page = (problem, email) =>
      loginPage({ people: people.all(), problem, email, application: interaction.params.client_id });
    if (req.method !== "POST") {
      sendPage(res, 200, page(undefined, interaction.params.login_hint));
      return;
    }
    const form = await readForm(req);
    if (form.has("cancel")) {
      await provider.interactionFinished(req, res, {
        error: "access_denied",
        error_description: "The login was cancelled.",
      });
      return;
    }
    const email = form.get("login") ?? "";
    const person = people.byEmail(email);
    if (person) {
      await provider.interactionFinished(req, res, { login: { accountId: person.sub } });
    } else {
      sendPage(res, 400, page(`There is nobody called ${email} here. Use one of the people listed below.`, email));
    }
  }

  return {
    owns: (req) => req.url.startsWith(LOGIN_PATH),
    answer: (req, res) => {
      if (req.url === STYLE_PATH) {
        sendStyle(res);
        return;
      }
      showOrTake(req, res).catch((error) => {
        console.error(`login page: ${error.stack}`);
        sendPage(res, error.status ?? 500, noticePage("The login failed", error.message));
      });
    },
  };
}

async function readForm(req) {
  const parts = [];
  let size = 0;
  for await (const part of req) {
    size += part.length;
    if (size > FORM_LIMIT_BYTES) {
      throw Object.assign(new Error("The form is longer than this page ever sends."), { status: 413 });
    }
    parts.push(part);
  }
  return new URLSearchParams(Buffer.concat(parts).toString());
}
