import { useState } from "react";
import { shortcutsOn, switchShortcuts } from "@/lib/shortcutSetting";

/** What is kept in this browser. */
export function Preferences() {
  const [on, setOn] = useState(shortcutsOn);
  return (
    <section className="block">
      <h2 className="p-heading--5">Keyboard</h2>
      <label className="check-list__entry">
        <input
          type="checkbox"
          checked={on}
          onChange={(event) => {
            switchShortcuts(event.target.checked);
            setOn(event.target.checked);
          }}
        />
        <span>Keyboard shortcuts of a single key (press ? for the list)</span>
      </label>
    </section>
  );
}
