/* The parts of `vphoton module`, each with its own arguments. */
#ifndef VPHOTON_CMD_MODULE_H
#define VPHOTON_CMD_MODULE_H

int module_build_main(int argc, char **argv);

#endif
