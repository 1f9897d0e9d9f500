import { queryOptions } from "@tanstack/react-query";
import { call } from "./client";
import type { Schemas } from "./types";

export type LoginCheck = Schemas["LoginCheckView"];
export type CheckedStep = Schemas["Finding"];

/** Asked for when somebody presses the button, and never repeated by itself: each check asks the identity provider. */
export const loginCheckQuery = queryOptions({
  queryKey: ["login-check"],
  queryFn: () => call<LoginCheck>("GET", "/1.0/login-check"),
  enabled: false,
  retry: false,
});
