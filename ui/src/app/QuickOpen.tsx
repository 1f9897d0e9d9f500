import { useQuery } from "@tanstack/react-query";
import { useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useNavigate } from "react-router";
import Modal from "@kit/Modal";
import { fleetQuery } from "@/api/fleet";
import { configurationQuery, REFRESH_MS, tokensQuery } from "@/api/queries";
import { useReturnFocus } from "@/components/focus";
import { Visible } from "@/components/Visible";
import { quickMatches, type Target } from "@/lib/quickOpen";

/** Finds clusters, tokens, pages and settings by a part of their names. */
export default function QuickOpen({ onClose }: { onClose: () => void }) {
  const id = useId();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const fleet = useQuery({ ...fleetQuery, staleTime: REFRESH_MS }).data;
  const tokens = useQuery({ ...tokensQuery, staleTime: REFRESH_MS }).data;
  const configuration = useQuery({ ...configurationQuery, enabled: false }).data;
  const input = useRef<HTMLInputElement>(null);
  useReturnFocus();

  const targets = useMemo<Target[]>(
    () => [
      { kind: "Page", label: "Overview", to: "/overview" },
      { kind: "Page", label: "Clusters", to: "/clusters" },
      { kind: "Page", label: "Tokens", to: "/clusters/tokens" },
      { kind: "Page", label: "Settings", to: "/settings" },
      { kind: "Page", label: "Enroll cluster", to: "/clusters?panel=enroll-cluster" },
      ...(fleet ?? []).map(({ name }) => ({
        kind: "Cluster" as const,
        label: name,
        to: `/cluster/${encodeURIComponent(name)}`,
      })),
      ...(tokens ?? []).map(({ cluster_name: name }) => ({
        kind: "Token" as const,
        label: name,
        to: "/clusters/tokens",
      })),
      ...Object.values(configuration ?? {}).map(({ title }) => ({
        kind: "Setting" as const,
        label: title,
        to: "/settings",
      })),
    ],
    [fleet, tokens, configuration],
  );
  const found = useMemo(() => quickMatches(targets, text), [targets, text]);
  const at = Math.min(chosen, found.length - 1);

  const open = (target: Target | undefined) => {
    if (target === undefined) return;
    onClose();
    void navigate(target.to);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter") {
      event.preventDefault();
      open(found[at]);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      setChosen((at + step + found.length) % Math.max(1, found.length));
    }
  };

  return (
    <Modal title="Quick open" close={onClose} className="quick-open" focusRef={input}>
      <input
        type="text"
        role="combobox"
        ref={input}
        autoComplete="off"
        spellCheck={false}
        aria-label="Find a cluster, a token, a page or a setting"
        placeholder="Find a cluster, a token, a page or a setting"
        aria-expanded={found.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={found.length > 0 ? `${id}-${at}` : undefined}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul className="quick-open__list" role="listbox" id={`${id}-list`} aria-label="Found">
        {found.map((target, index) => (
          <li
            key={`${target.kind} ${target.label}`}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onClick={() => open(target)}
            onPointerMove={() => setChosen(index)}
          >
            <span className="breakable">
              <Visible text={target.label} />
            </span>
            <span className="u-text--muted">{target.kind}</span>
          </li>
        ))}
      </ul>
      <p className="u-text--muted quick-open__count" role="status">
        {found.length === 0 ? "Nothing found" : ""}
      </p>
    </Modal>
  );
}
