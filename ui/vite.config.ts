/// <reference types="vitest/config" />
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const fromHere = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Puts the theme script into the head as a blocking file, so that the right theme is there before the first paint.
 *
 * A module script would run too late, and an inline script is refused by the Content-Security-Policy.
 */
function themeBeforeFirstPaint(): Plugin {
  const source = fromHere("./src/theme-boot.js");
  let base = "/";
  let served = false;
  return {
    name: "theme-before-first-paint",
    configResolved(config) {
      base = config.base;
      served = config.command === "serve";
    },
    buildStart() {
      if (!served) this.emitFile({ type: "asset", name: "theme-boot.js", source: readFileSync(source, "utf8") });
    },
    transformIndexHtml: {
      order: "post",
      handler(_html, { bundle }) {
        const file = served ? "src/theme-boot.js" : builtFile(bundle, /theme-boot-.*\.js$/);
        return [{ tag: "script", attrs: { src: base + file }, injectTo: "head" }];
      },
    },
  };
}

/** Asks for the text font together with the page, so that text does not change its width after the first paint. */
function preloadFont(): Plugin {
  let base = "/";
  return {
    name: "preload-font",
    apply: "build",
    configResolved(config) {
      base = config.base;
    },
    transformIndexHtml: {
      order: "post",
      handler(_html, { bundle }) {
        const href = base + builtFile(bundle, /\.woff2$/);
        const attrs = { rel: "preload", as: "font", type: "font/woff2", href, crossorigin: "" };
        return [{ tag: "link", attrs, injectTo: "head" }];
      },
    },
  };
}

/** Where the bill of materials finds the packages that the pages are made of, as the lock file calls them. */
const packageList = fromHere("../target/ui-packages.json");

/**
 * Writes down which packages the pages are made of.
 *
 * The lock file does not say it: packages also name what only their own tests need as dependencies.
 */
function listPackages(): Plugin {
  return {
    name: "list-packages",
    apply: "build",
    writeBundle(_options, bundle) {
      const files = Object.values(bundle).flatMap((file) => {
        if (file.type === "asset") return file.originalFileNames.map((name) => fromHere(`./${name}`));
        return Object.entries(file.modules).flatMap(([path, module]) => (module.renderedLength > 0 ? [path] : []));
      });
      // Files that Sass imports are no modules of the bundle.
      const styles = fromHere("./src/styles");
      for (const name of readdirSync(styles)) {
        for (const [, path = ""] of readFileSync(join(styles, name), "utf8").matchAll(/"(.*node_modules.*)"/g)) {
          files.push(join(styles, path));
        }
      }
      const packages = files.flatMap((file) => {
        const folder = /^node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/;
        return folder.exec(relative(fromHere("."), file)) ?? [];
      });
      mkdirSync(fromHere("../target"), { recursive: true });
      writeFileSync(packageList, `${JSON.stringify([...new Set(packages)].sort(), null, 2)}\n`);
    },
  };
}

function builtFile(bundle: object | undefined, name: RegExp): string {
  const file = Object.keys(bundle ?? {}).find((one) => name.test(one));
  if (file === undefined) throw new Error(`the build has no file like ${name.source}`);
  return file;
}

/** What only forms need; they are loaded when one is opened. */
const FORMS = /react-hook-form|components[\\/](FormPanel|TextField|SidePanel)\.tsx/;

// `npm run dev` serves the pages with hot reload and hands the API to a running server.
const server = process.env["MANAGEMENT_URL"] ?? "https://localhost:9100";
const proxied = { target: server, secure: false, changeOrigin: true };

/** Where people say what does not work: the address in package.json, under the name that npm gives it. */
const { bugs } = JSON.parse(readFileSync(fromHere("./package.json"), "utf8")) as { bugs?: { url: string } };

export default defineConfig({
  base: "/ui/",
  define: { "import.meta.env.BUGS_URL": JSON.stringify(bugs?.url ?? "") },
  plugins: [themeBeforeFirstPaint(), preloadFont(), listPackages(), react()],
  resolve: {
    alias: {
      // The package's root is CommonJS and cannot be tree-shaken; its ES modules can.
      "@kit": fromHere("./node_modules/@canonical/react-components/dist/esm/components"),
      "@": fromHere("./src"),
    },
  },
  server: { host: "localhost", proxy: { "/1.0": proxied, "/oidc": proxied } },
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // Many small files cost a round trip each: what several files need is one file, too.
          groups: [
            { name: "forms", priority: 2, includeDependenciesRecursively: false, test: FORMS },
            { name: "shared", priority: 1, minShareCount: 2 },
          ],
        },
      },
    },
  },
  css: {
    preprocessorOptions: {
      scss: { quietDeps: true, silenceDeprecations: ["import", "global-builtin", "if-function"] },
    },
  },
  test: {
    environment: "jsdom",
    setupFiles: ["./src/testing/setup.ts"],
    css: false,
    restoreMocks: true,
    testTimeout: 60_000,
  },
});
