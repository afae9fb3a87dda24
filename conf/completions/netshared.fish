# SPDX-License-Identifier: GPL-2.0-or-later
# fish's completion of netshared, which says itself what can follow.
function __netshared_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l begun (string match -r -- '^--[^=]*=' $words[-1])
    set -l typed (string replace -r -- '^--[^=]*=' '' $words[-1])
    for line in ($words[1] complete -- $words[2..-1] 2>/dev/null)
        switch $line
            case ':file'
                for path in (__fish_complete_path "$typed")
                    echo "$begun$path"
                end
            case ':directory'
                for path in (__fish_complete_directories "$typed" '')
                    echo "$begun$path"
                end
            case '*'
                echo $line
        end
    end
end
complete -c netshared -f -a '(__netshared_complete)'
