import classNames from "classnames";
import { useEffect, useId, useRef } from "react";
import type { UseFormRegisterReturn } from "react-hook-form";

interface Props {
  label: string;
  placeholder?: string;
  help?: string;
  error: string | undefined;
  type?: "text" | "datetime-local" | "number" | "url";
  /** Bounds of a number. */
  min?: number;
  max?: number;
  autoFocus?: boolean;
  registration: UseFormRegisterReturn;
}

/** A labelled input with its help and its error, tied together for screen readers. */
export function TextField({ label, help, error, type = "text", autoFocus = false, registration, ...rest }: Props) {
  const id = useId();
  const element = useRef<HTMLInputElement | null>(null);
  useEffect(() => {
    if (autoFocus) element.current?.focus();
  }, [autoFocus]);

  const described = [help === undefined ? "" : `${id}-help`, error === undefined ? "" : `${id}-error`].join(" ").trim();
  return (
    <div className={classNames("p-form__group p-form-validation", { "is-error": error !== undefined })}>
      <label className="p-form__label" htmlFor={id}>
        {label}
      </label>
      <div className="p-form__control">
        <input
          {...registration}
          {...rest}
          ref={(input) => {
            element.current = input;
            registration.ref(input);
          }}
          id={id}
          type={type}
          className="p-form-validation__input"
          autoComplete="off"
          spellCheck={false}
          aria-invalid={error !== undefined}
          aria-describedby={described === "" ? undefined : described}
        />
        {error !== undefined && (
          <p className="p-form-validation__message" id={`${id}-error`} role="alert">
            {error}
          </p>
        )}
        {help !== undefined && (
          <p className="p-form-help-text" id={`${id}-help`}>
            {help}
          </p>
        )}
      </div>
    </div>
  );
}
