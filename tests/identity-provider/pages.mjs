// The few pages that people see. No script at all; the style sheet is a file of its own, so that the policy stays strict.

import { readFileSync } from "node:fs";

export const STYLE_PATH = "/login/style.css";
const STYLE = readFileSync(new URL("style.css", import.meta.url));

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  // Browsers apply form-action to the redirects that follow a form too: the way back to the application must be open.
  "content-security-policy":
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self' https:; frame-ancestors 'none'",
};

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text) => String(text).replace(/[&<>"']/g, (character) => escapes[character]);

function page(title, content) {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<link rel="stylesheet" href="${STYLE_PATH}">
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${content}
</main>
</body>
</html>
`;
}

export function loginPage({ application, people, problem, email = "" }) {
  const alert = problem ? `<p class="problem" role="alert" id="problem">${escape(problem)}</p>` : "";
  const described = problem ? ' aria-invalid="true" aria-describedby="problem"' : "";
  return page(
    "Log in",
    `<p>to <strong>${escape(application)}</strong> with the development identity provider.</p>
${alert}
<form method="post">
<label for="login">Email</label>
<input id="login" name="login" type="email" value="${escape(email)}" autocomplete="username" required autofocus${described}>
<button type="submit" class="primary">Continue</button>
<button type="submit" name="cancel" value="yes" formnovalidate>Cancel</button>
</form>
<section aria-labelledby="people">
<h2 id="people">People you can be</h2>
<ul>
${people.map(personButton).join("\n")}
</ul>
</section>
<p class="note">For development only: nobody has a password here.</p>`,
  );
}

function personButton({ email, name, groups }) {
  const list = [groups].flat().filter((group) => typeof group === "string");
  const membership = list.length ? `in ${list.join(", ")}` : "in no group";
  return `<li><form method="post"><button type="submit" name="login" value="${escape(email)}">
<strong>${escape(name)}</strong> <span>${escape(email)}</span> <span>${escape(membership)}</span>
</button></form></li>`;
}

/** A page with one message; `form` is markup, everything else is text. */
export function noticePage(title, message, form = "") {
  return page(title, `<p>${escape(message)}</p>\n${form}`);
}

export function sendPage(res, status, html) {
  res.writeHead(status, HEADERS);
  res.end(html);
}

/** The same for the library's own routes, which add cookies after the page is made. */
export function answerWithPage(ctx, html) {
  ctx.set(HEADERS);
  ctx.body = html;
}

export function sendStyle(res) {
  res.writeHead(200, {
    "content-type": "text/css; charset=utf-8",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
  });
  res.end(STYLE);
}
