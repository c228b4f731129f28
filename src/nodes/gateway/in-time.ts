/** A wait with a bound: what comes in time, or what stands for it when it does not. */
export async function inTime<T, L>(coming: Promise<T>, boundMs: number, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<L>((resolve) => {
    timer = setTimeout(() => resolve(late), boundMs);
  });
  return Promise.race([coming, over]).finally(() => clearTimeout(timer));
}
