"""What to run, and how to reach the machine; plain values, compared field by field."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Union


@dataclass
class ConnectionParameters:
    """Where to log in.

    host      a name or address, or an alias of ~/.ssh/config; user  None is the one of that file, else yours
    password  never written to a pickle or dump
    gss_auth  authenticate by Kerberos
    """

    host: str = ""
    user: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    gss_auth: bool = False


@dataclass
class LaunchParameters:
    """A command and how to run it; a field that a plugin does not know is ignored by it.

    command          program and arguments, no shell
    work_directory   made where missing; relative to the login directory, or here to the current one
    name             name of the job
    total_jobs       more than 1: an array, the index 0 … n-1 is the last argument
    max_simul_jobs   how many elements at once; 1 or less: no limit on Slurm, one after another without a batch manager
    nodes, ntasks    0: not said
    exclusive        whole nodes
    wall_time        '90' minutes, '1:30' minutes:seconds, '2:0:0', '1-12' days-hours, '0-5:30', '1-2:3:4'; '' none, per element
    mem_per_node, mem_per_cpu   such as '32G'
    queue            quality of service
    partition, wckey
    extra_as_list    one `#SBATCH` line each, without that word
    extra_as_string  lines of the script after the directives, as they are
    input_files      local files and directories, copied into work_directory
    is_posix         whether paths on the server are POSIX's
    python_exe       interpreter on the server, 3.6 or later
    create_nodefile  a file of host names, one a task, in $LIBBATCH_NODEFILE
    """

    command: list[str]
    work_directory: str
    name: str = ""
    total_jobs: int = 1
    max_simul_jobs: int = 1
    nodes: int = 0
    ntasks: int = 0
    exclusive: bool = False
    wall_time: str = ""
    mem_per_node: str = ""
    mem_per_cpu: str = ""
    queue: str = ""
    partition: str = ""
    wckey: str = ""
    extra_as_list: list[str] = field(default_factory=list)
    extra_as_string: str = ""
    input_files: list[Union[str, Path]] = field(default_factory=list)
    is_posix: bool = True
    python_exe: str = "python3"
    create_nodefile: bool = False
