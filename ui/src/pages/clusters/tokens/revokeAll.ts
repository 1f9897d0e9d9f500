const AT_ONCE = 6;

/** Revokes many tokens, six requests at a time; gives the names that stayed, and the last reason. */
export async function revokeAll(
  names: readonly string[],
  revoke: (name: string) => Promise<unknown>,
): Promise<{ failed: string[]; reason: unknown }> {
  const waiting = [...names];
  const failed: string[] = [];
  let reason: unknown;
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      try {
        await revoke(name);
      } catch (error) {
        failed.push(name);
        reason = error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { failed, reason };
}
