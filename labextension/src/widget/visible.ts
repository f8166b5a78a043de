/** Tells whether an element can be seen: in the window's sight, on a page that is shown. */

export function watchVisible(target: Element, tell: (visible: boolean) => void, signal: AbortSignal): void {
  let inSight = false;
  const say = (): void => tell(inSight && document.visibilityState !== "hidden");
  const observer = new IntersectionObserver((entries) => {
    inSight = entries.at(-1)?.isIntersecting ?? inSight;
    say();
  });
  observer.observe(target);
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  document.addEventListener("visibilitychange", say, { signal });
}
