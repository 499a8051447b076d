/*
 * The subcommands: each gets its own argument vector (argv[0] is the subcommand's name) and gives
 * the exit code.
 */
#ifndef VPHOTON_COMMANDS_H
#define VPHOTON_COMMANDS_H

int cmd_new(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_ctl(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_module(int argc, char **argv);
int cmd_vm(int argc, char **argv);

#endif
