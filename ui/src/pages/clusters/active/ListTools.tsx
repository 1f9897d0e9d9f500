import { useState, type SubmitEvent } from "react";
import { Link, useLocation } from "react-router";
import Button from "@kit/Button";
import { BookmarkIcon, ColumnsIcon, FilterIcon } from "@/components/icons";
import { Popover } from "@/components/Popover";
import { useAddress } from "@/components/useAddress";
import { number } from "@/lib/count";
import { formatQuery, parseQuery, type Term } from "@/lib/grammar";
import { forgetView, NAME_MAX, savedViews, saveView } from "@/lib/savedViews";
import { COLUMNS } from "./columns";
import { PAGE_CHOICES, type Paging } from "./useListAddress";

const term = (field: Term["field"], operator: Term["operator"], value: string): Term => ({
  field,
  operator,
  value,
  negated: false,
});
const BOUNDS = ["50", "75", "80", "90"];

/** What can be clicked together instead of typed. The labels are what operators know; the terms are the search's own. */
const GROUPS: readonly { title: string; choices: readonly { label: string; term: Term }[] }[] = [
  {
    title: "Cluster status",
    choices: [
      ["Online", "online"],
      ["Stale", "stale"],
      ["Offline", "offline"],
      ["Never connected", "never"],
    ].map(([label = "", state = ""]) => ({ label, term: term("status", ":", state) })),
  },
  {
    title: "Instance status",
    choices: ["Running", "Stopped", "Frozen", "Error"].map((label) => ({
      label,
      term: term("instance", ":", label.toLowerCase()),
    })),
  },
  {
    title: "Node status",
    choices: ["Online", "Blocked", "Offline", "Evacuated"].map((label) => ({
      label,
      term: term("member", ":", label.toLowerCase()),
    })),
  },
  {
    title: "Memory usage",
    choices: BOUNDS.map((bound) => ({ label: `>${bound}%`, term: term("mem", ">=", bound) })),
  },
  {
    title: "Storage pool usage",
    choices: BOUNDS.map((bound) => ({ label: `>${bound}%`, term: term("disk", ">=", bound) })),
  },
];

/** Chips that write into the search box. */
export function FilterMenu() {
  const [params, change] = useAddress();
  const query = params.get("query") ?? "";
  const { terms } = parseQuery(query);
  const isChosen = (wanted: Term) => terms.some((one) => formatQuery([one]) === formatQuery([wanted]));
  const turn = (wanted: Term) => {
    const text = formatQuery([wanted]);
    const next = isChosen(wanted)
      ? formatQuery(terms.filter((one) => formatQuery([one]) !== text))
      : `${query.trim()} ${text}`.trim();
    change({ query: next === "" ? null : next, page: null });
  };
  return (
    <Popover label="Filters" icon={<FilterIcon />}>
      <div className="filters">
        {GROUPS.map(({ title, choices }) => (
          <fieldset key={title} className="filters__group">
            <legend>{title}</legend>
            {choices.map(({ label, term: wanted }) => (
              <button
                key={label}
                type="button"
                className="chip"
                aria-pressed={isChosen(wanted)}
                aria-label={`${title}: ${label}`}
                onClick={() => turn(wanted)}
              >
                {label}
              </button>
            ))}
          </fieldset>
        ))}
        <p className="u-text--muted filters__help">
          Or type: <code>mem&gt;80 status:offline -name:lab tunnel:no seen&gt;2h &quot;new york&quot;</code>
        </p>
      </div>
    </Popover>
  );
}

/** Which columns the list has. */
export function ColumnsMenu({
  shown,
  onChange,
}: {
  shown: readonly string[];
  onChange: (shown: readonly string[]) => void;
}) {
  return (
    <Popover label="Columns" icon={<ColumnsIcon />} iconOnly>
      <fieldset className="check-list">
        <legend>Columns</legend>
        {COLUMNS.filter(({ fixed }) => fixed !== true).map(({ id, label }) => (
          <label key={id} className="check-list__entry">
            <input
              type="checkbox"
              checked={shown.includes(id)}
              onChange={() => onChange(shown.includes(id) ? shown.filter((one) => one !== id) : [...shown, id])}
            />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
    </Popover>
  );
}

/** Searches under a name, kept in this browser. */
export function ViewsMenu() {
  const { search } = useLocation();
  const [views, setViews] = useState(savedViews);
  const [name, setName] = useState("");
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    if (name.trim() === "") return;
    setViews(saveView(name.trim(), search));
    setName("");
  };
  return (
    <Popover label="Saved views" icon={<BookmarkIcon />} iconOnly>
      {(close) => (
        <div className="views">
          {views.length === 0 ? (
            <p className="u-text--muted">No saved views yet. A view keeps the search, the sort and the columns.</p>
          ) : (
            <ul className="views__list" aria-label="Saved views">
              {views.map((view) => (
                <li key={view.name}>
                  <Link to={{ pathname: "/clusters", search: view.search }} onClick={close}>
                    {view.name}
                  </Link>
                  <button
                    type="button"
                    className="p-button--base has-icon is-dense"
                    onClick={() => setViews(forgetView(view.name))}
                  >
                    <i className="p-icon--close">Forget the view {view.name}</i>
                  </button>
                </li>
              ))}
            </ul>
          )}
          <form className="views__form" onSubmit={save}>
            <label>
              <span>Save the current view as</span>
              <input type="text" maxLength={NAME_MAX} value={name} onChange={(event) => setName(event.target.value)} />
            </label>
            <Button type="submit" disabled={name.trim() === ""}>
              Save
            </Button>
          </form>
        </div>
      )}
    </Popover>
  );
}

/** Rows per page, and the way from page to page. */
export function PageControl({ paging }: { paging: Paging }) {
  const { size, index, pages, setSize, setIndex } = paging;
  return (
    <div className="paging" role="group" aria-label="Pages">
      {size !== null && (
        <>
          <Button type="button" appearance="base" dense disabled={index === 0} onClick={() => setIndex(index - 1)}>
            Previous page
          </Button>
          <label className="paging__page">
            Page
            <input
              type="number"
              min={1}
              max={pages}
              value={index + 1}
              onChange={(event) => setIndex(Math.min(pages, Math.max(1, Number(event.target.value))) - 1)}
            />
            of {number(pages)}
          </label>
          <Button
            type="button"
            appearance="base"
            dense
            disabled={index >= pages - 1}
            onClick={() => setIndex(index + 1)}
          >
            Next page
          </Button>
        </>
      )}
      <label className="paging__size">
        <span>Rows per page</span>
        <select
          value={size ?? "all"}
          onChange={(event) => setSize(event.target.value === "all" ? null : Number(event.target.value))}
        >
          {PAGE_CHOICES.map((choice) => (
            <option key={choice ?? "all"} value={choice ?? "all"}>
              {choice ?? "All"}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
