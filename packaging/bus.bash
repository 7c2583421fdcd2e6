# SPDX-License-Identifier: MIT
# Completion of the bus command: verbs, and topics of the running instance.

_bus() {
	local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
	local verbs="up down status topic produce consume stat bench doctor help version"

	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
	elif [ "$verb" = topic ] && [ "$COMP_CWORD" = 2 ]; then
		mapfile -t COMPREPLY < <(
			compgen -W "create list describe alter delete" -- "$word")
	elif [[ $verb =~ ^(topic|produce|consume|stat)$ ]]; then
		mapfile -t COMPREPLY < <(
			compgen -W "$(bus topic list 2>/dev/null |
				awk 'NR > 1 { print $1 }')" -- "$word")
	fi
}
complete -o default -F _bus bus
