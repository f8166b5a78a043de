/** Moves a scrolling element by dragging its content with the mouse. */

const SLACK_PX = 4;

export function panByDragging(viewport: HTMLElement, signal: AbortSignal): void {
  let from: { x: number; y: number; left: number; top: number } | null = null;
  let moved = false;
  const down = (event: PointerEvent): void => {
    moved = false;
    if (event.button !== 0 || event.pointerType !== "mouse") return;
    from = { x: event.clientX, y: event.clientY, left: viewport.scrollLeft, top: viewport.scrollTop };
  };
  const move = (event: PointerEvent): void => {
    if (!from) return;
    const dx = event.clientX - from.x;
    const dy = event.clientY - from.y;
    if (!moved && Math.hypot(dx, dy) < SLACK_PX) return;
    if (!moved) viewport.setPointerCapture(event.pointerId);
    moved = true;
    viewport.classList.add("hbj-panning");
    viewport.scrollLeft = from.left - dx;
    viewport.scrollTop = from.top - dy;
  };
  const up = (): void => {
    from = null;
    viewport.classList.remove("hbj-panning");
  };
  const click = (event: Event): void => {
    // The click that ends a drag is no click on the node below it.
    if (moved) event.stopPropagation();
    moved = false;
  };
  viewport.addEventListener("pointerdown", down, { signal });
  viewport.addEventListener("pointermove", move, { signal });
  viewport.addEventListener("pointerup", up, { signal });
  viewport.addEventListener("pointercancel", up, { signal });
  viewport.addEventListener("click", click, { signal, capture: true });
}
