/** The dialog of what batches are made with where nothing else is said; it shows and changes the user's configuration file and keeps nothing itself. */

import { Widget } from "@lumino/widgets";
import type { DefaultSetting, DefaultSettings } from "../contract";
import { element } from "../dom";

const TITLES: Readonly<Record<string, string>> = {
  "batch/backend": "Default backend",
  "batch/rate_card": "Rate card",
  "batch/billing_project": "Billing project",
  "batch/keep_runs_days": "Keep ended runs, in days",
  "batch/keep_runs_gb": "Keep ended runs up to, in GB",
};

/** A form of the settings; `getValue` gives what was changed. */
export class DefaultsForm extends Widget {
  readonly #fields: readonly {
    setting: DefaultSetting;
    field: HTMLInputElement | HTMLSelectElement;
  }[];

  /** `said` is what was typed before, and `trouble` why it could not be. */
  constructor(
    { file, settings }: DefaultSettings,
    said: Readonly<Record<string, string>> = {},
    trouble = "",
  ) {
    super({ node: element("div", "hbj-defaults") });
    this.#fields = settings.map((setting) => ({
      setting,
      field: makeField(setting, said[setting.name] ?? setting.value),
    }));
    const rows = this.#fields.map(({ setting, field }) => makeRow(setting, field));
    const where = element(
      "p",
      "hbj-defaults-file",
      {},
      "They are kept in ",
      element("code", "", {}, file),
      ".",
    );
    const told = trouble ? [element("p", "hbj-defaults-trouble", { role: "alert" }, trouble)] : [];
    this.node.append(...told, ...rows, where);
  }

  getValue(): Record<string, string> {
    const changed = this.#fields.filter(({ setting, field }) => field.value.trim() !== setting.value);
    return Object.fromEntries(changed.map(({ setting, field }) => [setting.name, field.value.trim()]));
  }
}

function makeField(
  { name, choices, closed, variable }: DefaultSetting,
  value: string,
): HTMLInputElement | HTMLSelectElement {
  const id = fieldId(name);
  const help = { id, "aria-describedby": `${id}-help` };
  const field = closed
    ? element(
        "select",
        "jp-mod-styled",
        help,
        ...["", ...choices].map((choice) => option(choice, choice === value)),
      )
    : element("input", "jp-mod-styled", {
        ...help,
        type: "text",
        value,
        placeholder: "not set",
        list: `${id}-list`,
      });
  field.disabled = variable !== "";
  return field;
}

function option(choice: string, chosen: boolean): HTMLOptionElement {
  const made = element("option", "", { value: choice }, choice || "not set");
  made.selected = chosen;
  return made;
}

function makeRow(
  { name, meaning, choices, closed, variable }: DefaultSetting,
  field: HTMLElement,
): HTMLElement {
  const id = fieldId(name);
  const label = element("label", "hbj-defaults-label", { for: id }, TITLES[name] ?? name);
  const words = variable ? `${meaning}; the variable ${variable} of the server counts instead` : meaning;
  const help = element("div", "hbj-defaults-help", { id: `${id}-help` }, words);
  const list = closed
    ? []
    : [element("datalist", "", { id: `${id}-list` }, ...choices.map((one) => option(one, false)))];
  return element("div", "hbj-defaults-row", {}, label, field, ...list, help);
}

function fieldId(name: string): string {
  return `hbj-default-${name.replace(/\W/g, "-")}`;
}
