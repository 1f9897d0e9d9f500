/** Three machines around a centre, on the product's colour. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg className="logo" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#e95420" />
      <g fill="none" stroke="#fff" strokeWidth="2.2">
        <path d="M16 10.5v5.2M13.6 17.2l-4.3 3.1M18.4 17.2l4.3 3.1" strokeLinecap="round" />
        <circle cx="16" cy="16.2" r="2.6" fill="#fff" stroke="none" />
        <circle cx="16" cy="7.6" r="2.9" />
        <circle cx="7.3" cy="22" r="2.9" />
        <circle cx="24.7" cy="22" r="2.9" />
      </g>
    </svg>
  );
}
