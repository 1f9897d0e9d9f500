import { expect, test } from "vitest";
import { loginProblem } from "./loginProblem";

test("every code of the server has its sentence", () => {
  for (const code of ["expired", "refused", "provider-unavailable", "failed"]) {
    expect(loginProblem(code)).toMatch(/\.$/);
  }
});

test("what the server never says is not repeated", () => {
  for (const code of [null, "", "toString", "<script>alert(1)</script>", "Your account is locked"]) {
    expect(loginProblem(code)).toBeNull();
  }
});
