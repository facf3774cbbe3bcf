/** Each script calls `tyger __complete`, which prints `word<TAB>description` lines, or `:files` to complete files. */
export const SCRIPTS = {
  bash: `# bash completion of tyger: source <(tyger completion bash)
_tyger() {
  local IFS=$'\\n' cur=\${COMP_WORDS[COMP_CWORD]} lines
  [[ $cur == "=" ]] && cur=
  lines=($("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [[ \${lines[0]} == ":files" ]]; then
    compopt -o filenames
    COMPREPLY=($(compgen -f -- "$cur"))
    return
  fi
  lines=("\${lines[@]%%$'\\t'*}")
  # Bash takes "=" for the end of a word: the part before it is there already.
  [[ $COMP_WORDBREAKS == *=* ]] && lines=("\${lines[@]#--*=}")
  COMPREPLY=("\${lines[@]}")
}
complete -F _tyger tyger
`,
  zsh: `#compdef tyger
# zsh completion of tyger: source <(tyger completion zsh), after compinit
_tyger() {
  local -a lines described
  local line
  lines=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ \${lines[1]} == ":files" ]]; then
    _files
    return
  fi
  for line in $lines; do
    described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe tyger described
}
compdef _tyger tyger
`,
  fish: `# fish completion of tyger: tyger completion fish | source
function __tyger_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l lines ($words[1] __complete -- $words[2..-1] 2>/dev/null)
  if test "$lines[1]" = ":files"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $lines
  end
end
complete -c tyger -f -a '(__tyger_complete)'
`,
  powershell: `# PowerShell completion of tyger: tyger completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName tyger -ScriptBlock {
  param($word, $ast, $cursor)
  $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  if ($word -eq '') { $words += '' }
  & tyger __complete -- @words 2>$null | Where-Object { $_ -ne ':files' } | ForEach-Object {
    $text, $about = $_ -split "\`t", 2
    if (-not $about) { $about = $text }
    [System.Management.Automation.CompletionResult]::new($text, $text, 'ParameterValue', $about)
  }
}
`,
} as const;
