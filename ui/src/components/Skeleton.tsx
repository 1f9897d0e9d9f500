/** Grey bars in place of a page that is still loading. */
export function PageSkeleton() {
  return (
    <div className="skeleton-page" role="status" aria-label="Loading">
      <span className="skeleton skeleton--title" />
      <span className="skeleton skeleton--band" />
      <SkeletonLines lines={8} />
    </div>
  );
}

/** Grey lines in place of text that is still loading. */
export function SkeletonLines({ lines }: { lines: number }) {
  return (
    <div className="skeleton-lines" aria-hidden="true">
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} className="skeleton skeleton--line" />
      ))}
    </div>
  );
}
