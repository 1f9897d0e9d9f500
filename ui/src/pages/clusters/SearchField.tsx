import { useState } from "react";
import { useSearchParams } from "react-router";
import SearchBox from "@kit/SearchBox";

/** The search box of the list; what is typed is in the address at once. */
export function SearchField() {
  const [params, setParams] = useSearchParams();
  const query = params.get("query") ?? "";
  const [text, setText] = useState(query);
  const [seen, setSeen] = useState(query);

  // The address changed by itself: the way back, or a link.
  if (query !== seen) {
    setSeen(query);
    if (query.trim() !== text.trim()) setText(query);
  }

  const search = (typed: string) => {
    setText(typed);
    setParams(
      (before) => {
        const after = new URLSearchParams(before);
        if (typed.trim() === "") after.delete("query");
        else after.set("query", typed);
        return after;
      },
      { replace: true },
    );
  };

  return (
    <form role="search" className="page-head__search" onSubmit={(event) => event.preventDefault()}>
      <SearchBox
        externallyControlled
        autocomplete="off"
        placeholder="Search and filter"
        shouldBlurOnSearch={false}
        shouldRefocusAfterReset
        value={text}
        onChange={search}
      />
    </form>
  );
}
