import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";

// The first page of a file loads its modules; on a busy machine that takes a while.
configure({ asyncUtilTimeout: 20_000 });

afterEach(() => {
  cleanup();
  vi.unstubAllEnvs();
  localStorage.clear();
});

// jsdom has no layout: it knows no media queries and cannot scroll.
vi.stubGlobal("scrollTo", () => undefined);
vi.stubGlobal("matchMedia", (query: string) => ({
  media: query,
  matches: false,
  addEventListener: () => undefined,
  removeEventListener: () => undefined,
}));

// jsdom cannot draw and measures nothing: charts are drawn into nowhere.
vi.mock("uplot", () => ({
  default: class {
    setSize() {
      return this;
    }
    destroy() {
      return this;
    }
  },
}));
vi.stubGlobal(
  "ResizeObserver",
  class {
    observe() {
      return this;
    }
    disconnect() {
      return this;
    }
  },
);

// jsdom cannot open popovers: an element that is no longer one is shown.
HTMLElement.prototype.showPopover = function () {
  this.removeAttribute("popover");
};
