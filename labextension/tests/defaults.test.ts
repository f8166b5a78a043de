import { expect, test } from "vitest";
import { DefaultsForm } from "../src/panel/defaults";
import { find } from "./shown";

const base = { meaning: "what it is", value: "", variable: "", choices: [], closed: false };
const SETTINGS = {
  file: "/home/u/.config/hail/config.ini",
  settings: [
    { ...base, name: "batch/backend", value: "local", choices: ["local", "service"], closed: true },
    { ...base, name: "batch/rate_card", choices: ["hail", "this-machine"] },
    { ...base, name: "batch/billing_project", value: "mine", variable: "HAIL_BATCH_BILLING_PROJECT" },
  ],
};
const backend = "#hbj-default-batch-backend";
const card = "#hbj-default-batch-rate_card";

test("the form shows what the file says, and gives what was changed", () => {
  const form = new DefaultsForm(SETTINGS);
  const chosen = find(form.node, backend) as HTMLSelectElement;
  const typed = find(form.node, card) as HTMLInputElement;
  expect([chosen.value, typed.value, form.getValue()]).toEqual(["local", "", {}]);
  expect(form.node.textContent).toContain("/home/u/.config/hail/config.ini");

  chosen.value = "";
  typed.value = " core-hours:0.03 ";

  expect(form.getValue()).toEqual({ "batch/backend": "", "batch/rate_card": "core-hours:0.03" });
});

test("a setting that the environment overrides is told and not changed", () => {
  const form = new DefaultsForm(SETTINGS);
  const field = find(form.node, "#hbj-default-batch-billing_project") as HTMLInputElement;

  expect(field.disabled).toBe(true);
  expect(find(form.node, `#${field.id}-help`).textContent).toContain("HAIL_BATCH_BILLING_PROJECT");
});

test("what could not be is shown again with the reason, and is still a change", () => {
  const form = new DefaultsForm(SETTINGS, { "batch/rate_card": "hial" }, "there is no card 'hial'");

  expect(find(form.node, "[role=alert]").textContent).toBe("there is no card 'hial'");
  expect(form.getValue()).toEqual({ "batch/rate_card": "hial" });
});

test("every field has a label and a help that it names", () => {
  const form = new DefaultsForm(SETTINGS);

  for (const field of form.node.querySelectorAll("input, select")) {
    expect(form.node.querySelector(`label[for="${field.id}"]`)).not.toBeNull();
    expect(form.node.querySelector(`#${field.getAttribute("aria-describedby")}`)?.textContent).toBeTruthy();
  }
});
