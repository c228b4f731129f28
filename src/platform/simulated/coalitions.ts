/** XNU's resource coalitions: each counts what descends from one launchd job, and no process can leave it. */

export interface Coalition {
  readonly id: bigint;
  /** Of tasks, as `coalition_info_resource_usage` counts them: an exec is a new task, too (i_coal_resource_adopt_task). */
  started: bigint;
  exited: bigint;
}

export class Coalitions {
  readonly #made = new Map<bigint, Coalition>();

  /** As launchd asks for one for each job (coalition_create_internal). */
  make(): Coalition {
    const coalition = { id: BigInt(this.#made.size + 1), started: 0n, exited: 0n };
    this.#made.set(coalition.id, coalition);
    return coalition;
  }

  find(id: bigint): Coalition | undefined {
    return this.#made.get(id);
  }
}
