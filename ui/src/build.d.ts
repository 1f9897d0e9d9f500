/** What the build knows and the code does not: see vite.config.ts. */
interface ImportMetaEnv {
  /** Where people say what does not work; empty for nowhere. */
  readonly BUGS_URL: string;
}

interface ImportMeta {
  readonly env: ImportMetaEnv;
}
