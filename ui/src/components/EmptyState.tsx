import type { ReactNode } from "react";

interface Props {
  title: string;
  /** A drawing; it only decorates. */
  image?: ReactNode;
  headingLevel?: 1 | 2;
  children?: ReactNode;
}

/** What a page shows when there is nothing to list, or nothing it may show. */
export function EmptyState({ title, image, headingLevel = 2, children }: Props) {
  const Heading = headingLevel === 1 ? "h1" : "h2";
  return (
    <div className="empty-state">
      {image}
      <Heading className="p-heading--4 empty-state__title">{title}</Heading>
      {children}
    </div>
  );
}
